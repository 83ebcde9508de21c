-- Mapping methods: mean MAP over all pairs, and over the pairs on which every method succeeds.
select
    variant,
    vectors,
    method,
    dictionary_size,
    retrieval,
    scope,
    mean_map,
    n_pairs,
    n_failures
from marts.rpt_bli_methods
where study = $study
order by
    variant != 'default',
    variant,
    vectors,
    scope,
    mean_map desc,
    method,
    dictionary_size,
    retrieval
