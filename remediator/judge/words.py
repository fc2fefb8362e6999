"""The functions and aggregations whose behaviour is known well enough, as literal lists."""

from __future__ import annotations

AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "group"})
_COMPARED = """rate irate increase delta idelta deriv predict_linear avg_over_time max_over_time min_over_time
sum_over_time last_over_time abs ceil floor round sqrt clamp clamp_min clamp_max time"""
_FOLLOWED = """count_over_time quantile_over_time stddev_over_time stdvar_over_time present_over_time changes resets
holt_winters histogram_quantile exp ln log2 log10 sgn sort sort_desc timestamp scalar vector label_replace label_join
absent absent_over_time hour minute month year day_of_month day_of_week day_of_year days_in_month
pi deg rad sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"""
FUNCTIONS = frozenset(_COMPARED.split())
# in a recorded rule or in `healthy:` the value is taken as it is; only labels and windows must be understood
OTHER_FUNCTIONS = frozenset(_FOLLOWED.split())
OTHER_AGGREGATIONS = frozenset({"topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"})
