// The stand-in provider: what it plays, what it does on demand, and what it tells about itself.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, folder, until } from './lib/daemon.mjs'
import { startSimulator } from './lib/simulator.mjs'

const servers = []
after(() => servers.forEach((server) => server.closeAllConnections() ?? server.close()))

const past = { mailing: 'm-1', recipients: 500, 'sent-ago': '2d' }
const events = (sim, query = 'begin=1&ascending=yes&limit=300') => sim.get(`/v3/${sim.domain}/events?${query}`)
const logs = (sim) => sim.post('/v1/analytics/logs', { start: 'Sat, 01 Jan 2000 00:00:00 -0000', pagination: { limit: 100 } })
const same = ({ events: { late, duplicate, malformed, unhandled, ...rest }, stats, ...more }) => {
  const { first_event_at, last_event_at, ...figures } = stats
  return { events: rest, stats: figures, links: more.links, suppressed: more.suppressed }
}

test('the simulator gives the same figures for a seed at any speed and with any faults in the lists', async () => {
  const slow = await (await startSimulator({ mailing: 'm-1', recipients: 3000, seed: 9 })).truth()
  const options = { 'compress-time': 2880, 'late-share': 0.3, 'late-by': '3h', 'duplicate-share': 0.2, 'garbage-share': 0.1 }
  const fast = await (await startSimulator({ mailing: 'm-1', recipients: 3000, seed: 9, ...options })).truth()
  assert.deepEqual(same(fast), same(slow))
  const other = await (await startSimulator({ mailing: 'm-1', recipients: 3000, seed: 10 })).truth()
  assert.notDeepEqual(same(other), same(slow))
})

test('the simulator writes its truth before it is ready', async () => {
  const truth = join(folder(), 'truth.json')
  const sim = await startSimulator({ ...past, truth })
  assert.deepEqual(JSON.parse(readFileSync(truth, 'utf8')), await sim.truth())
  assert.equal((await sim.messages()).length, 500)
  assert.equal(await sim.stop(), 0)
})

test('the simulator shows events when they happen and late ones behind what was read', async () => {
  const sim = await startSimulator({ ...past, 'sent-ago': '1h', 'late-share': 0.5, 'late-by': '40m' })
  const read = async () => {
    const items = []
    for (let url = `/v3/${sim.domain}/events?begin=1&ascending=yes&limit=300`; ; ) {
      const { body } = await sim.get(url)
      if (body.items.length === 0) return items.map((item) => `${item.event} ${item.id}`)
      items.push(...body.items)
      url = body.paging.next
    }
  }
  const before = await read()
  await sim.post('/sim/clock', { advance: '30m' })
  const later = await read()
  assert.ok(later.length > before.length)
  const newest = later.indexOf(before.at(-1))
  assert.ok(later.slice(0, newest).some((item) => !before.includes(item)))
  assert.ok(before.every((item) => later.includes(item)))
})

test('the simulator refuses a wrong key, a foreign domain, a foreign token and a question without sense', async () => {
  const sim = await startSimulator(past)
  assert.equal((await events(sim)).status, 200)
  assert.equal((await sim.get(`/v3/${sim.domain}/events`, { key: 'wrong' })).status, 401)
  assert.equal((await sim.get('/v3/other.example/events')).status, 404)
  assert.equal((await sim.get(`/v3/${sim.domain}/events/AAAA`)).status, 400)
  for (const query of ['limit=301', 'limit=0', 'begin=abc', 'begin=1', 'begin=1&end=2&ascending=no', 'begin=2&end=1&ascending=yes'])
    assert.equal((await events(sim, query)).status, 400, query)
  assert.equal((await sim.post('/v1/analytics/logs', {})).status, 400)
  assert.equal((await sim.post('/v1/analytics/logs', '{')).status, 400)
  const asked = await sim.requests()
  assert.equal(asked[1].status, 401)
  assert.equal(asked[0].items, 300)
})

test('the simulator answers with the status, the wait and the number of times it was told', async () => {
  const sim = await startSimulator(past)
  await sim.fault({ status: 429, count: 2, retry_after: 2 })
  const refused = await events(sim)
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '2')
  assert.equal((await logs(sim)).status, 429)
  assert.equal((await events(sim)).status, 200)
  await sim.fault([{ status: 503, match: 'opened' }, { status: 302, match: 'clicked', host: 'http://elsewhere.example/' }])
  assert.equal((await events(sim)).status, 200)
  assert.equal((await events(sim, 'event=opened&begin=1&ascending=yes')).status, 503)
  const moved = await events(sim, 'event=clicked&begin=1&ascending=yes')
  assert.equal(moved.headers.get('location'), 'http://elsewhere.example/')
  assert.equal((await sim.get('/sim/faults')).body.faults.length, 2)
  await sim.healthy()
  assert.equal((await events(sim, 'event=opened&begin=1&ascending=yes')).status, 200)
  assert.equal((await sim.fault({ status: 'unheard-of' })).status, 422)
  assert.equal((await sim.fault({ status: 99 })).status, 422)
  assert.equal((await sim.fault({ status: 500, counts: 1 })).status, 422)
})

test('the simulator cuts, breaks, garbles and pads answers', async () => {
  const sim = await startSimulator(past)
  const hit = async (fault) => (await sim.fault({ ...fault, count: 1 }), events(sim))
  const whole = await events(sim)
  const cut = await hit({ status: 'cut' })
  assert.ok(cut.text.length < whole.text.length && cut.body === undefined)
  await assert.rejects(hit({ status: 'broken' }))
  assert.match((await hit({ status: 'garbage' })).text, /^<html>/)
  assert.equal((await hit({ status: 'no_items' })).body.items, undefined)
  assert.ok((await hit({ status: 'too_large' })).text.length > 8 << 20)
  const began = Date.now()
  assert.equal((await hit({ status: 'delay', delay_ms: 300 })).status, 200)
  assert.ok(Date.now() - began >= 299)
  await sim.fault({ status: 'timeout', count: 1 })
  const headers = { authorization: `Basic ${btoa(`api:${sim.key}`)}` }
  await assert.rejects(fetch(`${sim.url}/v3/${sim.domain}/events`, { headers, signal: AbortSignal.timeout(300) }))
  assert.equal(await sim.stop(), 0)
})

test('the simulator turns a page of bad items in front of the real ones', async () => {
  const sim = await startSimulator(past)
  const real = (await events(sim)).body.items.map((item) => item.id)
  for (const [status, items] of [['malformed_page', 300], ['null_headers', 7]]) {
    await sim.fault({ status, items, count: 1 })
    const bad = (await events(sim)).body
    assert.equal(bad.items.length, items)
    if (status === 'null_headers') assert.ok(bad.items.every((item) => item.message.headers === null))
    const good = (await sim.get(bad.paging.next)).body
    assert.deepEqual(good.items.map((item) => item.id), real)
  }
})

test('the simulator plays an event at a moment of the test\'s own choosing', async () => {
  const sim = await startSimulator(past)
  const before = await sim.truth()
  const complaints = async () => (await events(sim, 'event=complained&begin=1&ascending=yes&limit=300')).body.items.length
  const had = await complaints()
  assert.equal((await sim.post('/sim/events', { event: 'complained', recipient: 17 })).status, 204)
  assert.equal((await sim.post('/sim/events', { event: 'complained', recipient: 18, visible_in: '1h' })).status, 204)
  assert.equal(await complaints(), had + 1)
  await sim.post('/sim/clock', { advance: '61m' })
  assert.equal(await complaints(), had + 2)
  assert.equal((await sim.truth()).stats.complained, before.stats.complained + 2)
  for (const wrong of [{ event: 'seen', recipient: 1 }, { event: 'opened' }, { event: 'opened', recipient: 1, at: 'now' }])
    assert.equal((await sim.post('/sim/events', wrong)).status, 422)
  assert.equal((await sim.post('/sim/events', { event: 'opened', recipient: 500 })).status, 404)
})

test('the simulator names another host, repeats a token and lets tokens expire', async () => {
  const sim = await startSimulator(past)
  const { body } = await events(sim)
  await sim.fault({ status: 'other_host', host: 'http://other.example', count: 1 })
  assert.ok((await events(sim)).body.paging.next.startsWith('http://other.example/v3/'))
  await sim.fault({ status: 'repeat_token', count: 1 })
  assert.equal((await sim.get(body.paging.next)).body.paging.next, body.paging.next)
  await sim.fault({ status: 'expired_token', count: 1 })
  assert.equal((await events(sim)).status, 200)
  assert.equal((await sim.get(body.paging.next)).status, 400)
  assert.equal((await sim.get(body.paging.next)).status, 200)
})

test('the simulator poisons every page that holds one instant', async () => {
  const sim = await startSimulator(past)
  const items = (await events(sim)).body.items.filter((item) => typeof item?.timestamp === 'number')
  const at = new Date(items[150].timestamp * 1000).toISOString()
  await sim.fault({ status: 'poison', at })
  assert.equal((await events(sim)).body, undefined)
  assert.equal((await events(sim, `begin=${items[150].timestamp - 0.001}&ascending=yes&limit=1`)).body, undefined)
  assert.equal((await events(sim, 'begin=1&ascending=yes&limit=100')).body.items.length, 100)
  await sim.healthy()
  assert.equal((await events(sim)).body.items.length, 300)
})

// A receiver of webhooks: answers what `answer` says and keeps what came.
async function receiver(answer) {
  const got = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (piece) => (text += piece))
    request.on('end', () => {
      const hook = { text, ...JSON.parse(text) }
      got.push(hook)
      response.writeHead(answer(hook, got)).end()
    })
  })
  servers.push(server)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { got, url: `http://127.0.0.1:${server.address().port}/v1/hooks/mg` }
}

const token = (hook) => hook.signature.token

test('the simulator signs its webhooks and sends each event of the share', async () => {
  const sim = await startSimulator({ ...past, 'duplicate-share': 0.1, 'garbage-share': 0.1 })
  const truth = await sim.truth()
  const { got, url } = await receiver(() => 200)
  assert.equal((await sim.post('/sim/webhooks', { url, share: 1, order: 'random' })).status, 200)
  const all = truth.events.real + truth.events.duplicate
  await until(async () => (await sim.get('/sim/webhooks')).body.delivered === all, 20_000)
  assert.equal(got.length, all)
  for (const { signature } of got) {
    const mac = createHmac('sha256', sim.signingKey).update(signature.timestamp + signature.token).digest('hex')
    assert.equal(signature.signature, mac)
  }
  assert.equal(new Set(got.map(token)).size, all)
  const times = got.map((hook) => Number(hook['event-data'].timestamp))
  assert.notDeepEqual(times, [...times].sort((a, b) => a - b))

  const half = await receiver(() => 200)
  await sim.post('/sim/webhooks', { url: half.url, share: 0.5 })
  await until(async () => {
    const { waiting, under_way, delivered } = (await sim.get('/sim/webhooks')).body
    return delivered > 0 && waiting + under_way === 0
  }, 20_000)
  assert.ok(half.got.length > all * 0.4 && half.got.length < all * 0.6)
})

test('the simulator repeats a refused webhook with the same token and body, but not after 406', async () => {
  const sim = await startSimulator({ ...past, recipients: 50, 'sent-ago': '1d', 'compress-time': 100_000 })
  const { got, url } = await receiver((hook, all) => {
    const times = all.filter((other) => token(other) === token(hook)).length
    return hook['event-data'].event === 'opened' ? 406 : times < 3 ? 500 : 200
  })
  const { events: { real } } = await sim.truth()
  await sim.post('/sim/webhooks', { url })
  const done = await until(async () => {
    const { body } = await sim.get('/sim/webhooks')
    return body.delivered + body.refused === real && body
  }, 20_000)
  assert.equal(done.given_up, 0)
  const opened = got.filter((hook) => hook['event-data'].event === 'opened')
  assert.equal(opened.length, done.refused)
  for (const hook of got.filter((one) => one['event-data'].event === 'delivered'))
    assert.equal(got.filter((other) => other.text === hook.text).length, 3)
})

test('the simulator refuses options without sense', () => {
  for (const args of [['--late-share', '2'], ['--compress-time', '0'], ['--recipients', '-1'], ['--late-by', 'soon'], ['--listen', 'nowhere']]) {
    const { status, stderr } = cli(['simulate', 'mailgun', '--listen', '127.0.0.1:0', ...args], { timeout: 10_000 })
    assert.ok(status === 1 || status === 2, args.join(' '))
    assert.notEqual(stderr, '')
  }
})

const page = readFileSync('docs/simulator.md', 'utf8')

test('docs/simulator.md names every option and every fault', async () => {
  const help = cli(['simulate', 'mailgun', '--help']).stdout
  for (const [, option] of help.matchAll(/^ +(--[a-z-]+) /gm))
    if (!['--help', '--listen'].includes(option)) assert.ok(page.includes(option), option)
  const sim = await startSimulator()
  const faults = [...page.matchAll(/^\| `"(\w+)"` \|/gm)].map((m) => m[1])
  assert.equal(faults.length, 13)
  for (const status of faults)
    assert.equal((await sim.fault({ status, at: '2026-11-21T19:00:00Z' })).status, 200, status)
})
