// A TCP connection that can be cut without a word: between a node and its database, in the way a pulled cable does it.
//
//   const wire = await startProxy(server.port)
//   wire.url(url)        // the same database, reached through the wire
//   wire.cut()           // bytes stop in both directions, nobody is told
//   wire.heal()          // what was held back arrives
//   await wire.end()
import { connect, createServer } from 'node:net'
import { after } from 'node:test'

const wires = new Set()
after(async () => {
  for (const wire of wires) await wire.end()
})

class Proxy {
  pairs = new Set()
  isCut = false

  start(port) {
    wires.add(this)
    this.server = createServer((near) => {
      const far = connect(port, '127.0.0.1')
      const pair = [near, far]
      this.pairs.add(pair)
      for (const [one, other] of [[near, far], [far, near]]) {
        one.setNoDelay(true)
        one.on('data', (bytes) => other.write(bytes))
        one.on('end', () => other.end())
        one.on('error', () => other.destroy())
        one.on('close', () => (other.destroy(), this.pairs.delete(pair)))
        if (this.isCut) one.pause()
      }
    })
    return new Promise((resolve) => this.server.listen(0, '127.0.0.1', () => resolve(this)))
  }

  // Of a postgres:// URL, through here.
  url(direct) {
    const url = new URL(direct)
    url.host = `127.0.0.1:${this.server.address().port}`
    return url.href
  }

  cut() {
    this.isCut = true
    for (const pair of this.pairs) for (const socket of pair) socket.pause()
  }

  heal() {
    this.isCut = false
    for (const pair of this.pairs) for (const socket of pair) socket.resume()
  }

  async end() {
    wires.delete(this)
    for (const pair of this.pairs) for (const socket of pair) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

export function startProxy(port) {
  return new Proxy().start(Number(port))
}
