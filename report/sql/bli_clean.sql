-- MAP over all test rows and over those without a flaw: means over seeds, then over pairs of languages that have both.
with of_pairs as (
    select
        variant,
        vectors,
        retrieval,
        method,
        dictionary_size,
        source_language,
        target_language,
        avg(map) filter (where not clean) as map,
        avg(map) filter (where clean) as clean_map
    from marts.fct_bli
    where study = $study
    group by variant, vectors, retrieval, method, dictionary_size, source_language, target_language
)

select
    variant,
    vectors,
    retrieval,
    method,
    dictionary_size,
    avg(map) as map,
    avg(clean_map) as clean_map,
    count(*) as n_pairs
from of_pairs
where map is not null and clean_map is not null
group by variant, vectors, retrieval, method, dictionary_size
order by
    variant != 'default',
    variant,
    vectors,
    retrieval desc,
    method,
    dictionary_size
