{#- The part of the whole training's gain that is to be kept. -#}
{%- set kept = 0.9 %}

{{ config(materialized='table') }}

with curve_jobs as (
    select * from {{ ref('int_curve_jobs') }}
),

points as (
    select distinct
        study,
        curve_number,
        is_on_task,
        fraction
    from curve_jobs
),

-- What is asked of a point: where it stands, and, beside the whole training, what of the gain it keeps and what harm
-- off the task it spares.
asked as (
    select
        *,
        unnest(['at', 'beside']) as question
    from points
),

final as (
    select
        cast(row_number() over (order by curve_number, is_on_task, question, fraction) as integer) as statistic_number,
        study,
        curve_number,
        is_on_task,
        question,
        fraction,
        case when question = 'beside' then case when is_on_task then -{{ kept }} else -1.0 end else 0.0 end
            as weight_of_whole
    from asked
    where question = 'at' or fraction < 1
)

select * from final
