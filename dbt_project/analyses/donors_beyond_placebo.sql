-- Which languages help others by more than tuning on permuted labels does?
select
    study,
    variant,
    prompt,
    entity as language,
    round(donor_pp, 1) as donor_pp,
    round(placebo_pp, 1) as placebo_pp,
    round(donor_pp - placebo_pp, 1) as beyond_placebo_pp
from {{ ref('rpt_roles') }}
where scope = 'all' and axis = 'language' and donor_pp is not null
order by study asc, variant asc, prompt asc, beyond_placebo_pp desc
