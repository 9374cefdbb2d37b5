"""What methods are worth: trained side by side, in tables, with statistics."""

from keras_arl.evaluation.comparison import compare
from keras_arl.evaluation.configs import SeededTask
from keras_arl.evaluation.configs import fresh_configs
from keras_arl.evaluation.configs import report_configs
from keras_arl.evaluation.pictures import plot_noise
from keras_arl.evaluation.pictures import plot_noise_rates
from keras_arl.evaluation.pictures import plot_ranks
from keras_arl.evaluation.provenance import provenance
from keras_arl.evaluation.report import write_report
from keras_arl.evaluation.statistics import best_variants
from keras_arl.evaluation.statistics import critical_difference
from keras_arl.evaluation.statistics import rank_methods
from keras_arl.evaluation.tables import format_rows
from keras_arl.evaluation.tables import format_table
from keras_arl.evaluation.tables import summarise
from keras_arl.evaluation.tables import write_csv
from keras_arl.evaluation.verdict import paired_difference
from keras_arl.evaluation.verdict import verdict
from keras_arl.methods.kinds import WithMetaData

__all__ = [
    "SeededTask",
    "WithMetaData",
    "best_variants",
    "compare",
    "critical_difference",
    "format_rows",
    "format_table",
    "fresh_configs",
    "paired_difference",
    "plot_noise",
    "plot_noise_rates",
    "plot_ranks",
    "provenance",
    "rank_methods",
    "report_configs",
    "summarise",
    "verdict",
    "write_csv",
    "write_report",
]
