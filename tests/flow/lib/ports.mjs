// A port of loopback on which nobody listens, for a server that is told its port or comes back on the same one. It lies
// below those that the system gives to outgoing connections, so that none of them takes it meanwhile.
import { createServer } from 'node:net'

const [FIRST, COUNT] = [10_000, 10_000]

export function freePort(tries = 100) {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', (error) => (tries > 1 ? resolve(freePort(tries - 1)) : reject(error)))
    probe.listen(FIRST + Math.floor(Math.random() * COUNT), '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
