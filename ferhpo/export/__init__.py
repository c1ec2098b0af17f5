"""An ensemble in other forms, once the search is over.

In: an ensemble's folder. Out: one ONNX file that needs no ferhpo, or one small net that learned from the ensemble.
Never: chooses anything by the test split, or changes the ensemble.
"""
