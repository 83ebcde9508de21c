-- Flaws of the test dictionaries: rows that are in the training dictionary too, stand there twice, or are one word.
select
    variant,
    vectors,
    source_language,
    target_language,
    dictionary_size,
    max(n_queries) filter (where not clean) as n_rows,
    max(n_leaked) as n_leaked,
    max(n_duplicate) as n_duplicate,
    max(n_identical) as n_identical,
    coalesce(max(n_queries) filter (where clean), 0) as n_clean
from marts.fct_bli
where study = $study
group by variant, vectors, source_language, target_language, dictionary_size
order by
    variant != 'default',
    variant,
    vectors,
    source_language,
    target_language,
    dictionary_size
