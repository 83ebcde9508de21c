-- Which mapping finds most translations? Of those run on the most pairs of languages.
select
    method,
    variant,
    dictionary_size,
    retrieval,
    round(mean_map, 3) as mean_map,
    n_pairs,
    n_failures
from marts.rpt_bli_methods
where study = $study and scope = 'all'
order by n_pairs desc, rpt_bli_methods.mean_map desc, method, dictionary_size, retrieval
limit 3
