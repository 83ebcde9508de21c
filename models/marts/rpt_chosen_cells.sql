{#- Of studies that chose their sources by results: what is shown whatever the choosing. -#}
with transfer as (
    select * from {{ ref('fct_transfer') }}
    where control is null and regime != 'MT-ML' and p_value is not null
),

decisions as (
    select * from {{ ref('stg_decisions') }}
    where model is not null
),

-- The mean over 0 < k < 1 of k p^(k - 1), each of which is an e-value (Vovk & Wang 2021).
with_e_values as (
    select
        transfer.study,
        transfer.origin,
        transfer.variant,
        transfer.model,
        transfer.source_task,
        transfer.source_language,
        transfer.target_task,
        transfer.target_language,
        transfer.prompt,
        decisions.round as chosen_in_round,
        transfer.delta_pp,
        transfer.p_value,
        greatest(transfer.p_value, 1e-300) as p,
        case when p >= 1 - 1e-6 then 0.5 else (1 - p + p * ln(p)) / (p * pow(ln(p), 2)) end as e_value
    from transfer
    inner join decisions
        on transfer.study = decisions.study
        and transfer.model = decisions.model
        and transfer.source_task = decisions.source_task
        and transfer.source_language = decisions.source_language
),

ranked as (
    select
        *,
        rank() over (partition by study order by e_value desc) as n_as_large,
        count(*) over (partition by study) as n_cells
    from with_e_values
),

-- e-BH (Wang & Ramdas 2022): valid under any dependence.
thresholds as (
    select
        study,
        min(e_value) as threshold
    from ranked
    where e_value * n_as_large * 0.05 >= n_cells
    group by study
),

final as (
    select
        ranked.study,
        ranked.origin,
        ranked.variant,
        ranked.model,
        ranked.source_task,
        ranked.source_language,
        ranked.target_task,
        ranked.target_language,
        ranked.prompt,
        ranked.chosen_in_round,
        ranked.delta_pp,
        ranked.p_value,
        ranked.e_value,
        coalesce(ranked.e_value >= thresholds.threshold, false) as is_shown
    from ranked
    left join thresholds on ranked.study = thresholds.study
)

select * from final
