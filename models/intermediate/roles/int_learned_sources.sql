with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

model_scopes as (
    select * from {{ ref('int_model_scopes') }}
),

trained as (
    select
        transfer_cells.*,
        model_scopes.scope
    from transfer_cells
    inner join model_scopes on transfer_cells.model = model_scopes.model
    where transfer_cells.control is null and transfer_cells.regime = 'MT-ML' and not transfer_cells.is_mixture
),

members as (
    select
        *,
        unnest({{ role_axes() }}) as member
    from trained
),

listed as (
    select
        *,
        unnest([null, member.block]) as within_block
    from members
),

final as (
    select
        study,
        variant,
        prompt_pool,
        scope,
        member.axis,
        within_block,
        member.donor as entity,
        bool_and(verdict = 'gain') as learned
    from listed
    group by all
)

select * from final
