-- Ordered pairs of languages that have both: how well their embeddings align, how much tuning transfers.
select
    variant,
    prompt,
    embedding_study,
    embedding_variant,
    vectors,
    source_language,
    target_language,
    bli_map,
    transfer_pp
from marts.rpt_language_pairs
where study = $study and bli_map is not null and transfer_pp is not null and source_language != target_language
order by
    variant != 'default',
    variant,
    prompt,
    embedding_study,
    embedding_variant != 'default',
    embedding_variant,
    vectors,
    source_language,
    target_language
