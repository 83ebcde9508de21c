{{ config(materialized='table') }}

{%- set fold = "study, variant, prompt_pool, held_out_kind, held_out" %}

with advice_means as (
    select * from {{ ref('int_advice_means') }}
),

population as (
    select * from {{ ref('int_advice_population') }}
),

{%- set target = fold ~ ", target_task, target_language" %}

-- The errors that a target's sources do not share; what they share, the base model's answers for one, moves all alike.
candidates as (
    select
        *,
        greatest(items_pp2 - shared_pp2 + runs_pp2, 1e-6) as own_pp2
    from advice_means
),

drawn_together as (
    {{ empirical_bayes('candidates', target, 'mean_pp', 'own_pp2') }}
),

shrunk as (
    select
        * exclude (shrunk),
        shrunk as expected_gain_pp,
        shared_pp2
        + own_pp2 * (1 - (k - 1) / k * shrinkage)
        + case when k > 3 then 2 / (k - 3) * pow(shrinkage * (mean_pp - centre), 2) else 0 end as posterior_pp2
    from drawn_together
),

-- One more model of the population: how models differ beyond the cells' errors, moderated over cells, in that model and
-- in the mean; and the error of the mean.
predicted as (
    select
        shrunk.*,
        {{ moderated_variance(
            'shrunk.between_models_pp2', '(shrunk.n_models - 1)', 'population.prior_variance',
            'population.prior_degrees'
        ) }} as moderated_pp2,
        least(
            coalesce(shrunk.n_models - 1 + population.prior_degrees, population.most_degrees),
            population.most_degrees
        ) as model_degrees,
        case
            when moderated_pp2 is not null
                then
                    greatest(0, moderated_pp2 - coalesce(shrunk.cell_error_pp2, 0)) * (1 + 1 / shrunk.n_models)
                    + coalesce(shrunk.items_pp2 + shrunk.runs_pp2, 0)
        end as new_model_pp2
    from shrunk
    left join population
        on shrunk.study = population.study
        and shrunk.variant = population.variant
        and shrunk.prompt_pool is not distinct from population.prompt_pool
        and shrunk.held_out_kind = population.held_out_kind
        and shrunk.held_out is not distinct from population.held_out
),

-- Ranks see nine decimals: equal means may differ in their last bit, by the order in which they were added up.
final as (
    select
        study,
        variant,
        prompt_pool,
        held_out_kind,
        held_out,
        source_task,
        source_language,
        target_task,
        target_language,
        n_models,
        mean_pp,
        expected_gain_pp,
        case when has_errors then sqrt(posterior_pp2) * {{ t_quantile_975('degrees_of_freedom') }} end as half_width,
        expected_gain_pp - half_width as ci_low,
        expected_gain_pp + half_width as ci_high,
        -- Never surer than of the models at hand.
        case
            when new_model_pp2 is not null
                then greatest(sqrt(new_model_pp2) * {{ t_quantile_975('model_degrees') }}, coalesce(half_width, 0))
        end as new_model_half_width,
        expected_gain_pp - new_model_half_width as new_model_low,
        expected_gain_pp + new_model_half_width as new_model_high,
        rank() over (
            partition by {{ target }}
            order by round(expected_gain_pp, 9) desc
        ) as rank
    from predicted
)

select * from final
