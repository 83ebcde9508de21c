-- Which mapping finds most translations?
select
    method,
    variant,
    dictionary_size,
    retrieval,
    round(mean_map, 3) as mean_map,
    n_failures
from marts.rpt_bli_methods
where study = $study and scope = 'all'
order by rpt_bli_methods.mean_map desc, method, dictionary_size, retrieval
limit 3
