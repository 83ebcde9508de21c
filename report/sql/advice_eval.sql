-- Ways of picking sources, judged on models, and on families, that took no part: means over those left out.
select
    variant,
    prompt,
    held_out_kind,
    recommender,
    k,
    avg(regret) as regret,
    avg(ndcg) as ndcg,
    count(distinct held_out) as n_held_out
from marts.rpt_advice_eval
where study = $study
group by variant, prompt, held_out_kind, recommender, k
order by
    variant != 'default',
    variant,
    prompt,
    held_out_kind desc,
    k,
    list_position(['advice', 'same_language', 'same_task', 'english', 'random'], recommender)
