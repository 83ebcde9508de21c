{{ config(materialized='table') }}

{%- set keys = "study, contrast, a_variant, b_variant, a_prompt, b_prompt" %}

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
        {{ target_row_number(keys) }} as statistic_number,
        *
    from listed
    qualify {{ says_no_target_twice(keys) }}
)

select * from final -- noqa: AM04
