-- One method on one pair of languages: its MAP and its downstream score, each less the pair's mean over methods.
select
    variant,
    task,
    vectors,
    method,
    dictionary_size,
    source_language,
    target_language,
    map_residual,
    score_residual
from intermediate.int_downstream_points
where study = $study
order by all
