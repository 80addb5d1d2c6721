"""The queries of counts in the core tables; ``$since`` stands for the first instant. Items are ``hot_spots``'."""

HOT_FILES = """-- grain: file; churn times later blame
with suspects as (
    select repo_id, revision, fix_revision
    from core_changes__blames
    qualify row_number() over (partition by repo_id, fix_revision order by n_lines desc, revision) = 1
)
select
    f.repo_id, f.path, count(distinct f.revision) as n_changes, count(distinct s.fix_revision) as n_bugs,
    count(distinct f.author) as n_people
from core_changes__files as f
join core_changes__changes as c using (repo_id, revision)
left join suspects as s using (repo_id, revision)
where f.committed_at >= $since and c.parent is not null
group by all
order by n_bugs * n_changes desc, f.path
"""

CO_CHANGE = """-- grain: pair of folders
with folders as (
    select distinct f.repo_id, f.revision, array_to_string(list_slice(string_split(path, '/'), 1, 2), '/') as folder
    from core_changes__files as f
    join core_changes__changes as c using (repo_id, revision)
    where f.committed_at >= $since and c.parent is not null and length(path) - length(replace(path, '/', '')) >= 2
), sizes as (
    select repo_id, folder, count(*) as n from folders group by all
)
select
    a.repo_id, a.folder as first, b.folder as second,
    count(*) as n_both, any_value(x.n) as n_first, any_value(y.n) as n_second
from folders as a
join folders as b on a.repo_id = b.repo_id and a.revision = b.revision and a.folder < b.folder
join sizes as x on x.repo_id = a.repo_id and x.folder = a.folder
join sizes as y on y.repo_id = b.repo_id and y.folder = b.folder
group by a.repo_id, a.folder, b.folder
having count(*) >= 8 and count(*) >= 0.4 * least(any_value(x.n), any_value(y.n))
order by n_both desc, first, second
limit 5
"""

HELD_TIME = """-- grain: operation
select
    service_key, operation, sum(n_requests * duration_p50_ms) as held_ms, sum(n_requests) as n_requests,
    sum(held_ms) over () as all_ms
from core_trace__operation_minutes
where minute_at >= $since
group by all
order by held_ms desc, service_key, operation
limit 3
"""

SENSITIVE = """-- grain: attribute
select attribute, signal, count(distinct service_key) as n_services, sum(n) as n, count(distinct day_at) as n_days
from core_semantic__findings
where day_at >= $since and regexp_matches(
    lower(attribute),
    '(^|[._-])(e?mail|password|passwd|secret|token|authorization|cookie|ssn|iban|credit_?card|card_number|phone|full_name)($|[._-])'
)
group by all
order by n desc, attribute
"""
