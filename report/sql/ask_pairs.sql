-- Do languages whose embeddings align well also transfer to each other?
select
    source_language || ' -> ' || target_language as pair,
    variant,
    round(bli_map, 2) as bli_map,
    round(transfer_pp, 1) as transfer_pp
from marts.rpt_language_pairs
where study = $study and bli_map is not null and transfer_pp is not null
order by rpt_language_pairs.bli_map desc, pair
limit 3
