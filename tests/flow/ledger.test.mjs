// The ledger through its doors at the sizes its rules speak of: many at once, many lines, long days, deep pages.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon } from './lib/daemon.mjs'

async function start(mailings = ['m']) {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t', { timezone: 'Europe/London' })
  for (const id of mailings) assert.equal((await daemon.put(`/v1/mailings/${id}`, { tenant: 't', track_opens: id !== 'untracked' })).status, 200)
  return daemon
}

test('of a hundred parallel PATCHes to two final statuses one moves the message', async () => {
  const daemon = await start()
  await daemon.bulk('/v1/mailings/m/messages', [{ id: 'one', recipient: 'a@x.org' }])
  const wanted = Array.from({ length: 100 }, (_, i) => (i % 2 ? 'permanent-failure' : 'cancelled'))
  const answers = await Promise.all(wanted.map((status) => daemon.patch('/v1/messages/one', { status })))
  const { status: won, history } = (await daemon.get('/v1/messages/one')).body
  assert.ok(wanted.includes(won), won)
  assert.deepEqual(history.map(({ from, to }) => [from, to]), [[null, 'created'], ['created', won]])
  answers.forEach(({ status, body }, i) => {
    assert.equal(status, wanted[i] === won ? 200 : 409)
    if (status === 409) assert.equal(body.current_status, won)
  })
  const { stdout, status } = await daemon.cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout)
})

test('a hundred thousand lines imported twice are there once, and their list has neither holes nor repeats', async () => {
  const daemon = await start()
  const lines = Array.from({ length: 100_000 }, (_, i) => JSON.stringify({ recipient: `reader${i}@x.org`, member: `m-${i}` }))
  lines[70_000] = '{"recipient":'
  const first = (await daemon.bulk('/v1/mailings/m/messages', lines)).body
  assert.deepEqual([first.accepted, first.duplicates, first.rejected.map(({ line }) => line)], [99_999, 0, [70_001]])
  const before = (await daemon.get('/v1/mailings/m/stats')).body
  const second = (await daemon.bulk('/v1/mailings/m/messages', lines)).body
  assert.deepEqual([second.accepted, second.duplicates, second.rejected.map(({ line }) => line)], [0, 99_999, [70_001]])
  assert.deepEqual((await daemon.get('/v1/mailings/m/stats')).body, before)
  assert.equal(before.messages, 99_999)

  // What comes meanwhile stands in front of what is being read.
  const seen = new Set()
  for (let after = null, page = 0; ; page++) {
    const { body } = await daemon.get(`/v1/messages?mailing=m&limit=1000${after ? `&after=${encodeURIComponent(after)}` : ''}`)
    for (const { id } of body.items) seen.add(id)
    if (page < 5) await daemon.bulk('/v1/mailings/m/messages', [{ recipient: `late${page}@x.org` }])
    assert.equal(seen.size, Math.min((page + 1) * 1000, 99_999))
    if (body.next === null) break
    after = body.next
  }
  assert.equal(seen.size, 99_999)
})

test('a member has a rate from five tracked messages on, and untracked ones are left out of it', async () => {
  const mailings = ['m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'untracked']
  const daemon = await start(mailings)
  await daemon.put('/v1/sources/in', { type: 'postmark', tenant: 't' })
  const member = async () => {
    const { messages, opened, tracked, open_rate } = (await daemon.get('/v1/members/a?tenant=t')).body
    return [messages, opened, tracked, open_rate]
  }
  const add = (mailing) => daemon.bulk(`/v1/mailings/${mailing}/messages`, [{ recipient: 'a@x.org', member: 'a', provider_message_id: `id-${mailing}` }])
  const open = async (mailing) => {
    const record = { RecordType: 'Open', MessageID: `id-${mailing}`, Recipient: 'a@x.org', ReceivedAt: new Date().toISOString(), UserAgent: 'Firefox/140.0' }
    assert.equal((await daemon.post('/v1/hooks/in', record)).status, 200)
  }
  for (const mailing of mailings.slice(0, 4)) await add(mailing)
  await open('m-1')
  await open('m-2')
  assert.deepEqual(await member(), [4, 2, 4, null])
  await add('m-5')
  assert.deepEqual(await member(), [5, 2, 5, 0.4])
  await add('untracked')
  await open('untracked')
  assert.deepEqual(await member(), [6, 3, 5, 0.4])
})

test('days of 23 and 25 hours hold exactly the messages of their hours', async () => {
  const daemon = await start()
  // London: 2022-03-27 is 00:00Z to 23:00Z, 2022-10-30 is 29th 23:00Z to 31st 00:00Z.
  const instants = {
    '2022-03-26': ['2022-03-26T23:59:59.999Z'],
    '2022-03-27': ['2022-03-27T00:00:00Z', '2022-03-27T01:30:00Z', '2022-03-27T22:59:59.999Z'],
    '2022-03-28': ['2022-03-27T23:00:00Z', '2022-03-28T22:59:59Z'],
    '2022-10-29': ['2022-10-29T22:59:59.999Z'],
    '2022-10-30': ['2022-10-29T23:00:00Z', '2022-10-30T00:30:00Z', '2022-10-30T01:30:00Z', '2022-10-30T23:59:59.999Z'],
    '2022-10-31': ['2022-10-31T00:00:00Z'],
  }
  const lines = Object.values(instants).flat().map((created_at, i) => ({ id: `d-${i}`, tenant: 't', channel: 'email', recipient: `d${i}@x.org`, created_at }))
  assert.equal((await daemon.bulk('/v1/messages', lines)).body.accepted, lines.length)
  const facts = async (from, to) => Object.fromEntries((await daemon.get(`/v1/tenants/t/facts?from=${from}&to=${to}`)).body.items.map(({ day, count }) => [day, count]))
  const counts = Object.fromEntries(Object.entries(instants).map(([day, list]) => [day, list.length]))
  assert.deepEqual(await facts('2022-03-26', '2022-10-31'), counts)
  assert.deepEqual(await facts('2022-03-27', '2022-03-27'), { '2022-03-27': 3 }) // both ends are included
  assert.deepEqual(await facts('2022-10-30', '2022-10-31'), { '2022-10-30': 4, '2022-10-31': 1 })
})
