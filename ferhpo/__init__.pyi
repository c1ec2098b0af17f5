from ferhpo.data.arrays import Images as Images
from ferhpo.ensemble.infer import Ensemble as Ensemble
from ferhpo.search.api import load_spec as load_spec
from ferhpo.search.api import search as search
from ferhpo.study.study import Study as Study

__version__: str
