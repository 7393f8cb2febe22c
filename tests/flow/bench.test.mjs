// The benches: what each prints first is the same, so that figures of any two runs can be held side by side.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { cli, startDaemon } from './lib/daemon.mjs'
import { postgres, skip } from './lib/postgres.mjs'

const HEAD = ['bench', 'engine', 'rate_per_second', 'p50_ms', 'p99_ms', 'rss_bytes', 'seconds', 'clients', 'sync_ms']

// One line of JSON that says what was measured.
function bench(name, ...args) {
  const { status, stdout, stderr } = cli(['bench', name, ...args])
  assert.equal(status, 0, stderr)
  assert.equal(stdout.trim().split('\n').length, 1)
  const line = JSON.parse(stdout)
  assert.deepEqual(HEAD.filter((key) => !(key in line)), [])
  assert.equal(line.bench, name)
  for (const key of ['rate_per_second', 'p50_ms', 'p99_ms', 'rss_bytes', 'sync_ms']) assert.ok(line[key] > 0, `${key} ${line[key]}`)
  assert.ok(line.p99_ms >= line.p50_ms)
  return line
}

test('bench jobs and bench push say how many jobs a second pass, and how long one takes', () => {
  const jobs = bench('jobs', '--seconds', '1', '--clients', '3')
  assert.deepEqual([jobs.engine, jobs.seconds, jobs.clients], ['sqlite', 1, 3])
  const push = bench('push', '--seconds', '1', '--clients', '2')
  assert.deepEqual([push.engine, push.seconds, push.clients], ['sqlite', 1, 2])
})

test('bench jobs --bulk says how long fetches take, alone and beside an action on very many jobs', () => {
  const line = bench('jobs', '--bulk', '60000', '--seconds', '1', '--clients', '2')
  for (const key of ['beside_bulk_per_second', 'beside_bulk_p99_ms', 'bulk_per_second']) assert.ok(line[key] > 0, `${key} ${line[key]}`)
  assert.equal(line.bulk_jobs, 60000)
})

test('bench jobs --depth says how long fetches take from an empty and from a deep queue, before and after a start', () => {
  const line = bench('jobs', '--depth', '150000', '--seconds', '1', '--clients', '2')
  assert.equal(line.depth, 150000)
  for (const { p50_ms, p99_ms, empty_p99_ms, p99_of_empty, rss_bytes, peak_rss_bytes } of [line.deep, line.restarted]) {
    assert.ok(p50_ms > 0 && p99_ms >= p50_ms && peak_rss_bytes >= rss_bytes && rss_bytes > 0)
    assert.ok(Math.abs(p99_of_empty - p99_ms / empty_p99_ms) < 0.01, `${p99_of_empty} ${p99_ms} ${empty_p99_ms}`)
  }
  assert.ok(line.fill_per_second > 0 && line.start_seconds > 0)
  assert.equal(line.p99_ms, line.deep.empty_p99_ms)
  assert.equal(cli(['bench', 'jobs', '--depth', '1', '--database', 'postgres://x']).status, 2)
})

test('bench events applies no longer than it is told, while as many read as it is told', () => {
  const line = bench('events', '--messages', '100000', '--recipients', '1000', '--seconds', '1', '--clients', '2')
  assert.deepEqual([line.engine, line.clients, line.messages], ['sqlite', 2, 100000])
  assert.ok(line.reads > 0)
})

test('bench events --url loads a daemon that runs with webhooks, and every one of them is in its figures', async () => {
  const daemon = await startDaemon({ dev: true })
  const line = bench('events', '--url', daemon.url, '--seconds', '1', '--clients', '4')
  assert.deepEqual([line.engine, line.clients], [daemon.store[0] === '--database' ? 'postgresql' : 'sqlite', 4])
  const { text } = await daemon.get('/metrics')
  const items = [...text.matchAll(/^posthouse_source_events_total\{.*lane="webhook".*\} (\d+)$/gm)]
  const received = items.reduce((sum, item) => sum + Number(item[1]), 0)
  assert.equal(received, line.webhooks)
  await daemon.stop()
  assert.match(cli(['check', ...daemon.store]).stdout, / 0 differ/)
})

test('bench clicks beside nginx says what a click costs until it is in all figures', () => {
  const line = bench('clicks', '--members', '2000', '--links', '100', '--seconds', '1', '--rounds', '1', '--warm', '0', '--clients', '4')
  assert.deepEqual([line.engine, line.clients, line.links, line.members], ['sqlite', 4, 100, 2000])
  assert.ok(line.cpu_us_per_click > 0 && line.follow_seconds >= 0)
  assert.ok(line.sustained_per_second > 0 && line.sustained_per_second <= line.rate_per_second, JSON.stringify(line))
})

test('bench clicks with several numbers of links measures one store with ever more of them', () => {
  const line = bench('clicks', '--members', '2000', '--links', '10,1500', '--seconds', '1', '--rounds', '1', '--warm', '0')
  assert.deepEqual(line.by_links.map(({ links }) => links), [10, 1500])
  for (const run of line.by_links) assert.ok(run.cpu_us_per_click > 0 && run.rate_per_second > 0, JSON.stringify(run))
  assert.equal(line.by_links[0].cpu_by_first, 1)
  for (const wrong of ['5,3', '5,', ',5', '0', 'x', '']) assert.equal(cli(['bench', 'clicks', '--links', wrong]).status, 2, wrong)
})

test('bench clicks --table shows what a click costs by the number of links, a row each', () => {
  const { status, stdout } = cli(['bench', 'clicks', '--members', '2000', '--links', '10,1500', '--seconds', '1', '--rounds', '1', '--warm', '0', '--table'])
  assert.equal(status, 0)
  const [head, ...rows] = stdout.trim().split('\n')
  assert.match(head, /LINKS +CLICKS\/S +P99 MS +US A CLICK +BY THE FIRST +BYTES IN RAM/)
  assert.deepEqual(rows.map((row) => row.trim().split(/ +/).length), [6, 6])
  assert.deepEqual(rows.map((row) => Number(row.trim().split(/ +/)[0])), [10, 1500])
  assert.equal(cli(['bench', 'clicks', '--table']).status, 2)
})

test('bench clicks --url clicks on a daemon that runs, and every one of them is in its figures', async () => {
  const daemon = await startDaemon({ dev: true })
  const line = bench('clicks', '--url', daemon.url, '--members', '1500', '--links', '1200', '--seconds', '1', '--rounds', '1', '--clients', '4')
  assert.deepEqual([line.engine, line.clients], [daemon.store[0] === '--database' ? 'postgresql' : 'sqlite', 4])
  const { text } = await daemon.get('/metrics')
  const answered = Number(text.match(/^posthouse_clicks_total (\d+)$/m)[1])
  assert.ok(answered >= line.rate_per_second * 0.9, `${answered} answered`)
  const [mailing] = (await daemon.get('/v1/overview')).body.mailings
  assert.equal(mailing.stats.messages, 1500)
  let counted = 0
  for (let after = ''; after !== null; ) {
    const { items, next } = (await daemon.get(`/v1/mailings/${mailing.id}/links?limit=1000${after && `&after=${after}`}`)).body
    for (const { clicks } of items) counted += clicks
    after = next
  }
  assert.equal(counted, answered)
  await daemon.stop()
  assert.match(cli(['check', ...daemon.store]).stdout, / 0 differ/)
})

test('bench mixed says what clicks, jobs and events do alone and together in turns, what each keeps, and who had the processors', () => {
  const line = bench('mixed', '--seconds', '1', '--rounds', '2', '--clients', '8')
  assert.equal(line.rounds, 2)
  for (const figures of [line.alone, line.together])
    for (const key of ['clicks_per_second', 'clicks_p99_ms', 'jobs_per_second', 'events_per_second']) assert.ok(figures[key] > 0, `${key} ${figures[key]}`)
  for (const key of ['clicks', 'jobs', 'events']) {
    const ratio = line.together[`${key}_per_second`] / line.alone[`${key}_per_second`]
    assert.ok(Math.abs(line[`${key}_ratio`] - ratio) < 0.01, `${key} ${line[`${key}_ratio`]} ${ratio}`)
  }
  const who = { clicks: ['http', 'load-clicks'], jobs: ['worker', 'load-jobs'], events: ['writer', 'relay', 'simulate'] }
  for (const [key, names] of Object.entries(who))
    for (const { processors } of [line.alone[key], line.together])
      for (const name of names) assert.ok(processors[name].ran > 0 && processors[name].waited >= 0, `${name} ${JSON.stringify(processors)}`)
  const { elsewhere, ...groups } = line.together.processors
  const ran = Object.values(groups).reduce((sum, group) => sum + group.ran, elsewhere)
  assert.ok(ran <= availableParallelism() * 1.2, `${ran}`)
})

test('bench nodes says what an old snapshot costs, and what the same time does without one', { skip }, async () => {
  const database = await (await postgres()).database()
  for (const [option, seconds] of [[[], 'held_seconds'], [['--without-snapshot'], 'not_held_seconds']]) {
    const { status, stdout, stderr } = cli(['bench', 'nodes', '--nodes', '1', '--hold-snapshot', '1s', ...option, '--database', database])
    assert.equal(status, 0, stderr)
    const line = JSON.parse(stdout)
    assert.equal(line[seconds], 1)
    assert.equal(line.held_parts_per_second.filter((rate) => rate > 0).length, 10)
    assert.ok(line.after_per_second > 0 && line.bytes_held.message > 0)
  }
})

test('a bench of a daemon that nobody answers for ends with 69', () => {
  for (const name of ['events', 'clicks']) assert.equal(cli(['bench', name, '--url', 'http://127.0.0.1:9']).status, 69)
})
