"""In: a TrialConfig, the number of classes and channels.

Out: an untrained or pretrained `torch.nn.Module` from images to logits, ours, timm's or torchvision's.
Never: data, training, or a download that was not asked for.
"""
