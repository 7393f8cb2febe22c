// The daemon is killed at random moments while many people follow links, and started again: every 302 that somebody
// received is counted, nothing is counted that nobody asked for. CLICK_ROUNDS says how often (a few in `make test`).
//
//     CLICK_ROUNDS=100 node --test tests/kill/clicks.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { cli, startDaemon } from '../flow/lib/daemon.mjs'
import { pause, randomOf } from './lib/load.mjs'

const rounds = Number(process.env.CLICK_ROUNDS || 4)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const LINKS = 5
const MEMBERS = 400
const READERS = 24

const random = randomOf(seed)
const any = (n) => Math.floor(random() * n)

function follow(daemon, agent, path) {
  return new Promise((resolve, reject) => {
    const url = new URL(daemon.url)
    const headers = { 'user-agent': `Mozilla/5.0 (X11) Firefox/${any(40) + 90}.0` }
    const asked = request({ agent, host: url.hostname, port: url.port, path, headers }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode))
      answer.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}

const asked = new Map() // of each link: how often it was asked for, by whom
const answered = new Map() // and what was answered

const count = (all, link, member) => {
  if (!all.has(link)) all.set(link, { clicks: 0, members: new Set() })
  all.get(link).clicks++
  all.get(link).members.add(member)
}

async function followUntil(daemon, agent, stopped) {
  while (!stopped()) {
    const link = `l${any(LINKS)}`, member = `p${any(MEMBERS)}`
    count(asked, link, member)
    try {
      const status = await follow(daemon, agent, `/r/${link}?m=${member}`)
      if (status === 302) count(answered, link, member)
      else assert.equal(status, 503)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      return // it was killed
    }
  }
}

async function setUp(daemon) {
  await daemon.put('/v1/tenants/t', { timezone: 'Europe/London' })
  await daemon.put('/v1/mailings/m', { tenant: 't' })
  const lines = Array.from({ length: MEMBERS }, (_, i) => ({ recipient: `p${i}@k.example`, member: `p${i}` }))
  assert.equal((await daemon.bulk('/v1/mailings/m/messages', lines)).body.accepted, MEMBERS)
  for (let i = 0; i < LINKS; i++) await daemon.put(`/v1/links/l${i}`, { url: `https://x.example/${i}?u=%%{member}%%`, tenant: 't', mailing: 'm' })
}

test(`every redirect that was answered is counted over ${rounds} kills (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  const daemon = await startDaemon()
  await setUp(daemon)
  for (let round = 0; round < rounds; round++) {
    const agent = new Agent({ keepAlive: true })
    let stopped = false
    const readers = Array.from({ length: READERS }, () => followUntil(daemon, agent, () => stopped))
    await pause(20 + random() * 400)
    await daemon.kill()
    stopped = true
    await Promise.all(readers)
    agent.destroy()
    const { status, stdout, stderr } = cli(['check', ...daemon.store])
    assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`)
    assert.match(stdout, /, 0 differ/)
    await daemon.start()
    for (const [link, said] of answered) {
      const { clicks, members } = (await daemon.get(`/v1/links/${link}`)).body.stats
      const most = asked.get(link)
      const where = `seed ${seed}, round ${round}, ${link}`
      assert.ok(clicks >= said.clicks && clicks <= most.clicks, `${where}: ${said.clicks} answered, ${clicks} counted, ${most.clicks} asked`)
      assert.ok(members >= said.members.size && members <= most.members.size, `${where}: ${members} members`)
    }
  }
  assert.equal(await daemon.stop(), 0)
})
