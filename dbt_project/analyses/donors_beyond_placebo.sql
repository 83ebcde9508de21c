-- Which languages help others by more than tuning on permuted labels does?
select
    study,
    variant,
    prompt,
    entity as language,
    within,
    round(donor_effect_pp, 1) as donor_effect_pp,
    round(gain_over_placebo_pp, 1) as gain_over_placebo_pp,
    round(gain_over_placebo_low, 1) as gain_over_placebo_low,
    round(gain_over_placebo_high, 1) as gain_over_placebo_high
from {{ ref('rpt_roles') }}
where scope = 'all' and axis = 'language' and donor_effect_pp is not null
order by study asc, variant asc, prompt asc, within asc, gain_over_placebo_pp desc
