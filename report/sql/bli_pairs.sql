-- MAP of each ordered pair of languages, by the mapping that the study's `bli_map` names.
select distinct
    embedding_variant,
    vectors,
    source_language,
    target_language,
    bli_map
from marts.rpt_language_pairs
where study = $study and bli_map is not null
order by
    embedding_variant != 'default',
    embedding_variant,
    vectors,
    bli_map desc,
    source_language,
    target_language
