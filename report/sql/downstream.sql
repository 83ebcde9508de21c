-- Downstream tasks on mapped embeddings.
select
    variant,
    vectors,
    task,
    collection,
    classifier,
    metric,
    method,
    dictionary_size,
    source_language,
    target_language,
    score
from marts.fct_downstream
where study = $study and score is not null
order by
    variant != 'default',
    variant,
    vectors,
    task,
    collection,
    classifier,
    metric,
    method,
    dictionary_size,
    source_language,
    target_language
