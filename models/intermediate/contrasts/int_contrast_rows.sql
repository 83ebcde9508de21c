{{ config(materialized='table') }}

with pairs as (
    select * from {{ ref('int_contrast_pairs') }}
),

-- Each target, and all of a contrast's targets together, their trained cells left out.
listed as (
    select
        *,
        unnest(
            case when is_trained_cell then [true] else [true, false] end
        ) as is_one_target
    from pairs
),

final as (
    select
        cast(dense_rank() over (
            order by
                study, contrast, a_variant, b_variant, a_prompt, b_prompt, is_one_target, is_trained_cell,
                case when is_one_target then target_task end, case when is_one_target then target_language end
        ) as integer) as statistic_number,
        *
    from listed
    -- All targets are one row more only where there are several.
    qualify
        is_one_target
        or min(row(target_task, target_language)) over (
            partition by study, contrast, a_variant, b_variant, a_prompt, b_prompt, is_one_target
        ) is distinct from max(row(target_task, target_language)) over (
            partition by study, contrast, a_variant, b_variant, a_prompt, b_prompt, is_one_target
        )
)

select * from final -- noqa: AM04
