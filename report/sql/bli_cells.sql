-- MAP of every method on every pair of languages: CSLS, all test rows, means over seeds.
select
    variant,
    vectors,
    method,
    dictionary_size,
    source_language,
    target_language,
    avg(map) as map,
    bool_or(is_failure) as is_failure
from marts.fct_bli
where study = $study and retrieval = 'csls' and not clean
group by variant, vectors, method, dictionary_size, source_language, target_language
order by
    variant != 'default',
    variant,
    vectors,
    dictionary_size = 0,
    method,
    dictionary_size,
    source_language,
    target_language
