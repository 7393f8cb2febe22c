// The provider's official JavaScript client, unchanged, only pointed at the stand-in.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import Mailgun from 'mailgun.js'
import { startSimulator } from './lib/simulator.mjs'
import { until } from './lib/daemon.mjs'

const quiet = { warn() {} } // events.get is announced as deprecated there, on every call
console.warn = () => {}

const client = (sim, key = sim.key) => new Mailgun(FormData).client({ username: 'api', key, url: sim.url, logger: quiet })

// Every item of the list, page by page, as the client's documentation shows it.
async function allEvents(mg, domain, query) {
  const items = []
  let pages = 0
  for (let page; ; ) {
    const answer = await mg.events.get(domain, page ? { page } : query)
    if (answer.items.length === 0) return { items, pages }
    items.push(...answer.items)
    pages++
    assert.notEqual(answer.pages.next.page, page)
    page = answer.pages.next.page
  }
}

const ago = (seconds) => (Date.now() / 1000 - seconds).toFixed(3)

test('mailgun.js pages through all events of a mailing', async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 1000, 'sent-ago': '2d', 'duplicate-share': 0.05 })
  const mg = client(sim)
  const truth = await sim.truth()
  const { items, pages } = await allEvents(mg, sim.domain, { begin: ago(200_000), end: ago(0), ascending: 'yes', limit: 300 })
  assert.equal(items.length, truth.events.real + truth.events.duplicate)
  assert.ok(pages > 5)
  const times = items.map((item) => Number(item.timestamp))
  assert.deepEqual(times, [...times].sort((a, b) => a - b))
  const delivered = new Set(items.filter((item) => item.event === 'delivered').map((item) => item.recipient.toLowerCase()))
  assert.equal(delivered.size, truth.stats.delivered)
})

test('mailgun.js narrows events by type and reads them backwards', async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 1000, 'sent-ago': '2d' })
  const mg = client(sim)
  const query = { event: 'opened OR clicked', begin: ago(0), end: ago(200_000), ascending: 'no', limit: 100 }
  const { items } = await allEvents(mg, sim.domain, query)
  assert.ok(items.length > 300)
  assert.ok(items.every((item) => item.event === 'opened' || item.event === 'clicked'))
  const times = items.map((item) => Number(item.timestamp))
  assert.deepEqual(times, [...times].sort((a, b) => b - a))
})

test('mailgun.js finds first, previous and last pages', async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 500, 'sent-ago': '2d' })
  const mg = client(sim)
  const ids = (answer) => answer.items.map((item) => `${item.event} ${item.id} ${item.timestamp}`)
  const one = await mg.events.get(sim.domain, { begin: ago(200_000), ascending: 'yes', limit: 50 })
  const two = await mg.events.get(sim.domain, { page: one.pages.next.page })
  assert.deepEqual(ids(await mg.events.get(sim.domain, { page: two.pages.previous.page })), ids(one))
  assert.deepEqual(ids(await mg.events.get(sim.domain, { page: two.pages.first.page })), ids(one))
  const last = await mg.events.get(sim.domain, { page: one.pages.last.page })
  assert.equal(last.items.length, 50)
  const behind = await mg.events.get(sim.domain, { page: last.pages.next.page })
  assert.equal(behind.items.length, 0)
  assert.deepEqual(ids(await mg.events.get(sim.domain, { page: behind.pages.previous.page })), ids(last))
})

test('mailgun.js pages through the logs', async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 300, 'sent-ago': '2d' })
  const mg = client(sim)
  const truth = await sim.truth()
  const items = []
  for (let token; ; ) {
    const answer = await mg.logs.list({
      start: new Date(Date.now() - 200_000_000),
      end: new Date(),
      events: ['delivered', 'failed', 'rejected', 'opened', 'clicked', 'unsubscribed', 'complained'],
      filter: { AND: [{ attribute: 'domain', comparator: '=', values: [{ label: sim.domain, value: sim.domain }] }] },
      pagination: { sort: 'timestamp:asc', limit: 100, token },
    })
    items.push(...answer.items)
    token = answer.pagination.next
    if (!token || answer.items.length === 0) break
  }
  assert.equal(items.length, truth.events.real)
  assert.ok(items.every((item) => !Number.isNaN(item['@timestamp'].getTime())))
})

test('mailgun.js sends, and what it sent is played', async () => {
  const sim = await startSimulator({ 'compress-time': 1_000_000 })
  const mg = client(sim)
  const to = Array.from({ length: 200 }, (_, i) => `person-${i}@example.org`)
  const answer = await mg.messages.create(sim.domain, {
    from: 'The Times <news@mg.sim.example>',
    to,
    subject: 'Hello %recipient.name%',
    text: 'Hello',
    html: '<a href="https://x.example/one">one</a> <a href="https://x.example/two?a=1&amp;b=2">two</a>',
    'recipient-variables': JSON.stringify(Object.fromEntries(to.map((address, i) => [address, { name: `P${i}`, no: i }]))),
    'o:tag': ['first', 'second'],
    'v:posthouse-mailing': 'mailing-7',
    'v:posthouse-message': 'message-%recipient.no%',
  })
  assert.equal(answer.status, 200)
  assert.match(answer.id, /^<[^<>@\s]+@mg\.sim\.example>$/)
  assert.equal(answer.message, 'Queued. Thank you.')

  const truth = await sim.truth()
  assert.equal(truth.recipients, 200)
  const query = { begin: ago(3600), ascending: 'yes', limit: 300, tags: 'first AND second' }
  const items = await until(async () => {
    const { items } = await allEvents(mg, sim.domain, query)
    return items.length === truth.events.real + truth.events.unhandled && items
  })
  const accepted = items.filter((item) => item.event === 'accepted')
  assert.equal(accepted.length, 200)
  for (const item of items) {
    const no = to.indexOf(item.recipient ?? item.message.headers.to.match(/<(.*)>/)[1])
    if (item['user-variables'] && typeof item['user-variables'] === 'object')
      assert.deepEqual(item['user-variables'], { 'posthouse-mailing': 'mailing-7', 'posthouse-message': `message-${no}` })
    if (item.message) assert.equal(`<${item.message.headers['message-id']}>`, answer.id)
    if (item.event === 'clicked') assert.match(item.url, /^https:\/\/x\.example\//)
  }
  assert.equal((await allEvents(mg, sim.domain, { ...query, tags: 'third' })).items.length, 0)
})

test('mailgun.js is told what a message lacks', async () => {
  const sim = await startSimulator()
  const mg = client(sim)
  await assert.rejects(mg.messages.create(sim.domain, { from: 'a@x.org', text: 'no to' }), { status: 400 })
  await assert.rejects(mg.messages.create('other.example', { from: 'a@x.org', to: 'b@x.org', text: 't' }), { status: 404 })
})

test('mailgun.js keeps the suppression lists', async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 4000, 'sent-ago': '2d' })
  const mg = client(sim)
  const truth = await sim.truth()
  for (const [type, reason] of [['bounces', 'bounce'], ['complaints', 'complaint'], ['unsubscribes', 'unsubscribe']]) {
    const addresses = new Set()
    for (let page; ; ) {
      const answer = await mg.suppressions.list(sim.domain, type, page ? { page } : { limit: 20 })
      if (answer.items.length === 0) break
      answer.items.forEach((item) => addresses.add(item.address))
      page = answer.pages.next.page
    }
    assert.equal(addresses.size, truth.suppressed[reason], type)

    const created = await mg.suppressions.create(sim.domain, type, [{ address: 'Someone+Else@Example.org' }])
    assert.equal(created.status, 200)
    const one = await mg.suppressions.get(sim.domain, type, 'someone+else@example.org')
    assert.equal(one.address, 'someone+else@example.org')
    assert.ok(Date.now() - one.created_at.getTime() < 60_000)
    assert.equal((await mg.suppressions.destroy(sim.domain, type, 'someone+else@example.org')).status, 200)
    await assert.rejects(mg.suppressions.get(sim.domain, type, 'someone+else@example.org'), { status: 404 })
  }
  assert.equal((await mg.suppressions.create(sim.domain, 'unsubscribes', { address: 'b@x.org', tag: 'letters' })).status, 200)
  assert.deepEqual((await mg.suppressions.get(sim.domain, 'unsubscribes', 'b@x.org')).tags, ['letters'])
})

test('mailgun.js knows the domain and is refused with a wrong key', async () => {
  const sim = await startSimulator()
  const mg = client(sim)
  assert.deepEqual((await mg.domains.list()).map((domain) => domain.name), [sim.domain])
  assert.equal((await mg.domains.get(sim.domain)).name, sim.domain)
  await assert.rejects(client(sim, 'wrong').events.get(sim.domain), { status: 401 })
})
