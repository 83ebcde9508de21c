{#- Above this many targets the null distribution is taken from its moments, below from permutations. -#}
{%- set most_permuted = 10 -%}
{%- set n_permutations = 999 -%}

with target_rankings as (
    select * from {{ ref('int_target_rankings') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set source = "outcome, study, variant, prompt_pool, regime, source_task, source_language" %}

-- A model to which all targets are equal ranks nothing, and has no tau with any other.
rankings as (
    select
        *,
        n_untied > 0 as is_ranking,
        dense_rank() over (order by {{ source }}) as source_number,
        row_number() over (
            partition by {{ source }}, n_untied > 0
            order by model
        ) as model_number,
        n_targets * (n_targets - 1) // 2 as n_pairs,
        (sum_squared_lead - 2 * n_untied)
        / nullif(cast(n_targets as double) * (n_targets - 1) * (n_targets - 2) * n_untied, 0) as covariance,
        -- The two eigenvalues of each permuted sign vector's covariance.
        1 / n_pairs + (n_targets - 2) * covariance as wide_eigenvalue,
        1 / n_pairs - 2 * covariance as narrow_eigenvalue
    from target_rankings
),

sources as (
    select
        {{ source }},
        source_number,
        any_value(n_targets) as n_targets,
        any_value(n_pairs) as n_pairs,
        cast(count_if(is_ranking) as bigint) as n_models,
        bool_and(n_untied = n_pairs) filter (where is_ranking) as is_untied,
        -- Power sums over models.
        {%- for power in (1, 2, 3) %}
        {{ in_order('sum', 'pow(wide_eigenvalue, ' ~ power ~ ')', 'is_ranking') }} as wide_{{ power }},
        {{ in_order('sum', 'pow(narrow_eigenvalue, ' ~ power ~ ')', 'is_ranking') }} as narrow_{{ power }},
        {%- endfor %}
        n_models * (n_models - 1) // 2 as n_model_pairs
    from rankings
    group by all
),

limits as (
    select max(n_models) as n_models from sources
),

-- The digest alone decides a permutation, so every build draws the same; of fewer targets, the larger numbers drop out.
permutations as (
    select
        replicate.i as replicate,
        model_number.i as model_number,
        list(place.i order by md5(concat_ws('/', replicate.i, model_number.i, place.i))) as places
    from range(1, {{ n_permutations }} + 1) as replicate (i)
    cross join range(1, (select n_models from limits) + 1) as model_number (i)
    cross join range(1, {{ most_permuted }} + 1) as place (i)
    group by replicate.i, model_number.i
),

few_targets as (
    select * from rankings
    where is_ranking and n_targets between 4 and {{ most_permuted }}
),

assigned as (
    select
        few_targets.source_number,
        few_targets.model_number,
        few_targets.n_targets,
        few_targets.n_untied,
        few_targets.deltas,
        permutations.replicate,
        permutations.places
    from few_targets
    inner join permutations on few_targets.model_number = permutations.model_number
),

-- Replicate 0 is what was seen. One model alone agrees with nobody.
replicated as (
    select
        rankings.source_number,
        rankings.model_number,
        rankings.n_untied,
        0 as replicate,
        rankings.deltas
    from rankings
    inner join sources on rankings.source_number = sources.source_number
    where rankings.is_ranking and rankings.n_targets >= 4 and sources.n_models > 1
    union all
    select
        source_number,
        model_number,
        n_untied,
        replicate,
        list_transform( -- noqa: PRS
            list_filter(places, lambda place: place <= n_targets), lambda place: deltas[place]
        ) as deltas
    from assigned
),

-- One sign a pair of targets.
signs as (
    select
        source_number,
        model_number,
        replicate,
        n_untied,
        flatten(list_transform(
            range(1, len(deltas)),
            lambda i: list_transform(deltas[i + 1:], lambda later: cast(sign(deltas[i] - later) as float))
        )) as signs
    from replicated
),

agreement as (
    select
        one.source_number,
        one.replicate,
        {{ exact_avg('list_inner_product(one.signs, other.signs) / sqrt(one.n_untied * other.n_untied)') }} as mean_tau
    from signs as one
    inner join signs as other
        on one.source_number = other.source_number
        and one.replicate = other.replicate
        and one.model_number < other.model_number
    group by one.source_number, one.replicate
),

observed as (
    select
        source_number,
        mean_tau
    from agreement
    where replicate = 0
),

exceeded as (
    select
        agreement.source_number,
        (1 + count_if(agreement.mean_tau >= observed.mean_tau - 1e-9)) / (1 + {{ n_permutations }}) as p_value
    from agreement
    inner join observed on agreement.source_number = observed.source_number
    where agreement.replicate > 0
    group by agreement.source_number
),

-- Exact moments of the mean tau when each model's targets are permuted alone.
moments as (
    select
        *,
        (
            (n_targets - 1) * (wide_1 ^ 2 - wide_2) + (n_pairs - n_targets + 1) * (narrow_1 ^ 2 - narrow_2)
        ) / 2 / n_model_pairs ^ 2 as variance,
        (
            (n_targets - 1) * (wide_1 ^ 3 - 3 * wide_1 * wide_2 + 2 * wide_3)
            + (n_pairs - n_targets + 1) * (narrow_1 ^ 3 - 3 * narrow_1 * narrow_2 + 2 * narrow_3)
        ) / n_model_pairs ^ 3 as third_moment,
        -- Half the step between values that the mean can take, where nothing ties.
        case when is_untied then (1 + n_models % 2) / (n_pairs * n_model_pairs) else 0 end as half_step
    from sources
    where n_model_pairs > 0 and n_targets >= 4
),

standardised as (
    select
        observed.source_number,
        (observed.mean_tau - moments.half_step) / sqrt(moments.variance) as z,
        moments.third_moment / moments.variance ^ 1.5 as skewness
    from observed
    inner join moments on observed.source_number = moments.source_number
),

told as (
    select
        sources.*,
        observed.mean_tau,
        case
            when sources.n_targets <= {{ most_permuted }} then exceeded.p_value
            else {{ pearson_survival('standardised.z', 'standardised.skewness') }}
        end as p_value
    from sources
    left join observed on sources.source_number = observed.source_number
    left join exceeded on sources.source_number = exceeded.source_number
    left join standardised on sources.source_number = standardised.source_number
),

final as (
    select
        told.study,
        studies.origin,
        told.variant,
        told.prompt_pool as prompt,
        told.prompt_pool,
        told.regime,
        told.source_task,
        told.source_language,
        told.mean_tau as kendall_tau_b,
        told.p_value,
        specific.mean_tau as specific_tau_b,
        specific.p_value as specific_p_value,
        cast(told.n_model_pairs as bigint) as n_model_pairs,
        cast(told.n_targets as bigint) as n_targets
    from told
    inner join studies on told.study = studies.study
    left join told as specific
        on told.study = specific.study
        and told.variant = specific.variant
        and told.prompt_pool is not distinct from specific.prompt_pool
        and told.regime = specific.regime
        and told.source_task = specific.source_task
        and told.source_language = specific.source_language
        and specific.outcome = 'specific'
    where told.outcome = 'delta'
)

select * from final
