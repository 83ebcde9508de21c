-- MAP of every method on every pair of languages: CSLS, all test rows, means over seeds.
select
    variant,
    vector_set as vectors,
    method,
    dictionary_size,
    source_language,
    target_language,
    map
from intermediate.int_bli_means
where study = $study and retrieval = 'csls'
order by
    variant != 'default',
    variant,
    vectors,
    dictionary_size = 0,
    method,
    dictionary_size,
    source_language,
    target_language
