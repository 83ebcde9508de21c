-- For which pair of languages does the mapping do worst?
select
    source_language || ' -> ' || target_language as pair,
    variant,
    method,
    dictionary_size,
    round(p_at_1, 3) as p_at_1,
    round(map, 3) as map
from marts.fct_bli
where study = $study and retrieval = 'csls' and not clean
order by fct_bli.map, pair, method, dictionary_size
limit 3
