with transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
    where control is null and delta_pp is not null and regime is distinct from 'MT-ML'
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        prompt_pool as prompt,
        model,
        source_task,
        source_language,
        source_name as source, -- noqa: RF04
        is_mixture,
        target_task,
        count(*) as n_languages,
        {{ in_order('avg', 'delta_pp') }} as mean_pp,
        {%- for verdict in ("gain", "none", "undecided", "harm") %}
        case when count(verdict) = count(*) then 100 * count_if(verdict = '{{ verdict }}') / count(*) end
            as verdict_{{ verdict }}_pct,
        {%- endfor %}
        100 * count_if(is_harm) / count(*) as harm_pct,
        case when count(null_harm_probability) = count(*) then 100 * {{ in_order('avg', 'null_harm_probability') }} end
            as null_harm_pct
    from transfer_cells
    group by study, variant, prompt_pool, model, source_task, source_language, source_name, is_mixture, target_task
)

select * from final
