-- Rank correlation of each measure of a pair with transfer between its languages (mean of both directions).
select
    variant,
    prompt,
    embedding_study,
    embedding_variant,
    vectors,
    measure,
    spearman,
    p_value,
    n_languages
from marts.rpt_pair_correlations
where study = $study
order by
    variant != 'default',
    variant,
    prompt,
    embedding_study,
    embedding_variant != 'default',
    embedding_variant,
    vectors,
    measure != 'bli_map',
    measure
