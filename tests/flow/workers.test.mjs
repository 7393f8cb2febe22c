// The workers of docs/workers.md do what it says, in every language that is on this machine with its library.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { folder, startDaemon, until } from './lib/daemon.mjs'

// The first block of code whose fence says `language`.
function example(language) {
  const found = readFileSync('docs/workers.md', 'utf8').match(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm'))
  assert.ok(found, `docs/workers.md has no ${language}`)
  return found[1]
}

const has = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

const workers = [
  { name: 'node', language: 'js', file: 'worker.mjs', run: [process.execPath] },
  { name: 'node over HTTP', language: 'js http', file: 'worker.mjs', run: [process.execPath] },
  { name: 'python', language: 'python', file: 'worker.py', run: ['python3'], needs: ['python3', '-c', 'import faktory'], lacks: 'no python3 with the package faktory' },
  { name: 'plain python', language: 'python raw', file: 'worker.py', run: ['python3'], needs: ['python3', '--version'], lacks: 'no python3' },
  { name: 'ruby', language: 'ruby', file: 'welcome.rb', run: ['faktory-worker', '-q', 'mail', '-r'], needs: ['faktory-worker', '-V'], lacks: 'no ruby with faktory_worker_ruby', type: 'WelcomeJob' },
  { name: 'plain ruby', language: 'ruby raw', file: 'worker.rb', run: ['ruby'], needs: ['ruby', '--version'], lacks: 'no ruby' },
  { name: 'go', language: 'go', file: 'worker.go', run: ['go', 'run'], needs: ['go', 'list', 'github.com/contribsys/faktory_worker_go'], lacks: 'no go with faktory_worker_go' },
  { name: 'plain go', language: 'go raw', file: 'worker.go', run: ['go', 'run'], needs: ['go', 'version'], lacks: 'no go', startMs: 120_000 },
  { name: 'php', language: 'php', file: 'worker.php', run: ['php'], needs: ['php', '--version'], lacks: 'no php' },
]

for (const { name, language, file, run, needs, lacks, type = 'welcome', startMs = 20_000 } of workers) {
  const skip = needs && !has(...needs) ? lacks : false
  test(`the ${name} worker of the paper does its first job`, { skip }, async () => {
    const daemon = await startDaemon()
    const home = folder()
    const text = example(language).replaceAll('127.0.0.1:7419', daemon.worker)
    writeFileSync(join(home, file), text)
    symlinkSync(resolve('tests/flow/node_modules'), join(home, 'node_modules'))
    const env = { ...process.env, FAKTORY_URL: `tcp://${daemon.worker}`, POSTHOUSE_URL: daemon.url }
    const child = spawn(run[0], [...run.slice(1), join(home, file)], { env, cwd: home })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (piece) => (said += piece))
    try {
      await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: type, queue: 'mail', args: [42] })
      await until(() => said.includes('welcome, user 42'), startMs, () => said)
      await until(async () => (await daemon.get('/v1/jobs/job-0001')).body.state === 'done', 10_000, () => said)
    } finally {
      child.kill('SIGKILL')
    }
    await daemon.stop()
  })
}

test('the push of the paper arrives', async () => {
  const daemon = await startDaemon()
  const home = folder()
  writeFileSync(join(home, 'push.mjs'), example('js push'))
  symlinkSync(resolve('tests/flow/node_modules'), join(home, 'node_modules'))
  const child = spawn(process.execPath, [join(home, 'push.mjs')], { env: { ...process.env, FAKTORY_URL: `tcp://${daemon.worker}` }, stdio: 'inherit' })
  assert.equal(await new Promise((resume) => child.on('close', resume)), 0)
  const { items } = (await daemon.get('/v1/jobs?queue=mail')).body
  assert.deepEqual(items.map((job) => [job.jobtype, job.args]), [['welcome', [42]]])
  await daemon.stop()
})
