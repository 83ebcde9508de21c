with advice_eval as (
    select * from {{ ref('rpt_advice_eval') }}
),

final as (
    select
        study,
        any_value(origin) as origin,
        variant,
        prompt,
        held_out_kind,
        recommender,
        k,
        {{ in_order('avg', 'regret') }} as regret,
        {{ in_order('avg', 'ndcg') }} as ndcg,
        count(*) as n_held_out
    from advice_eval
    group by study, variant, prompt, held_out_kind, recommender, k
)

select * from final
