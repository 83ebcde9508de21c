-- The items that most adapters lose or gain: of either the ten that stand out most, with one of their texts.
with ranked as (
    select
        *,
        coalesce(parallel_id, target_language || '/' || item_id) as item,
        row_number() over (partition by variant, prompt order by p_lost nulls last, loss_pct desc, item) as lost_place,
        row_number() over (partition by variant, prompt order by p_gained nulls last, gain_pct desc, item) as gained_place
    from marts.rpt_items
    where study = $study
),

shown as (
    select * from ranked
    where lost_place <= 10 or gained_place <= 10
),

-- Items that were loaded by an earlier version have no context: as JSON, that is NULL.
texts as (
    select
        items.task,
        coalesce(items.parallel_id, items.language || '/' || items.item_id) as item,
        first(items.language order by items.language != 'en', items.language, items.prompt) as language,
        first(to_json(items) ->> 'context' order by items.language != 'en', items.language, items.prompt) as context,
        first(items.choices[items.gold + 1] order by items.language != 'en', items.language, items.prompt) as answer
    from raw.items as items
    where
        items.split = 'test'
        and items.job_key in (select job_key from raw.study_jobs where study = $study)
        and coalesce(items.parallel_id, items.language || '/' || items.item_id) in (select item from shown)
    group by all
)

select
    shown.variant,
    shown.prompt,
    shown.target_task,
    shown.item,
    shown.lost_place,
    shown.gained_place,
    shown.n_languages,
    shown.n_could_lose,
    shown.n_losing,
    shown.loss_pct,
    shown.q_lost,
    shown.n_could_gain,
    shown.n_gaining,
    shown.gain_pct,
    shown.q_gained,
    texts.language,
    texts.context,
    trim(texts.answer) as answer
from shown
left join texts on shown.target_task = texts.task and shown.item = texts.item
order by
    variant != 'default',
    variant,
    prompt,
    lost_place
