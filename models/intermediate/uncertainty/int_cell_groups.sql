{{ config(materialized='table') }}

with mean_cells as (
    select * from {{ ref('int_mean_cells') }}
),

computed_cells as (
    select * from {{ ref('int_computed_cells') }}
),

-- Columns and classes gather cells by target, all else gathers them by source.
signatures as (
    select
        case when part in ('row', 'regime') then 'source' else 'target' end as side,
        cell_number,
        list(struct_pack(mean_number, weight) order by mean_number) as signature
    from mean_cells
    group by all
),

final as (
    select
        signatures.side,
        signatures.cell_number,
        min(signatures.cell_number) over (
            partition by
                signatures.side, signatures.signature, computed_cells.target_task, computed_cells.n_items,
                computed_cells.n_seeds
        ) as group_number
    from signatures
    inner join computed_cells on signatures.cell_number = computed_cells.cell_number
)

select * from final
