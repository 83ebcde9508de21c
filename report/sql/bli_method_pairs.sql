-- Methods against each other: differences of mean MAP over the pairs of languages both ran on, CSLS.
select
    variant,
    vectors,
    dictionary_size,
    method,
    other_method,
    difference,
    ci_low,
    ci_high,
    p_value
from marts.rpt_bli_method_pairs
where study = $study and retrieval = 'csls'
order by
    variant != 'default',
    variant,
    vectors,
    dictionary_size desc,
    method,
    other_method
