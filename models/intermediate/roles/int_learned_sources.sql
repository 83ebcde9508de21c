with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

model_scopes as (
    select * from {{ ref('int_model_scopes') }}
),

trained as (
    select
        transfer_cells.study,
        transfer_cells.variant,
        transfer_cells.prompt_pool,
        model_scopes.scope,
        transfer_cells.verdict,
        unnest([
            { 'axis': 'language', 'block': transfer_cells.source_task, 'entity': transfer_cells.source_language },
            { 'axis': 'task', 'block': transfer_cells.source_language, 'entity': transfer_cells.source_task },
            {
                'axis': 'cell',
                'block': 'all',
                'entity': transfer_cells.source_task || '/' || transfer_cells.source_language
            }
        ]) as member
    from transfer_cells
    inner join model_scopes on transfer_cells.model = model_scopes.model
    where transfer_cells.control is null and transfer_cells.regime = 'MT-ML'
),

listed as (
    select
        *,
        unnest([null, member.block]) as within_block
    from trained
),

final as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        member.axis,
        within_block,
        member.entity,
        bool_and(verdict = 'gain') as learned
    from listed
    group by all
)

select * from final
