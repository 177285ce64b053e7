// Records what the server answered to every request of this process, whichever HTTP client an SDK uses: Node's own fetch
// and the undici package report to the same diagnostics channels.
import { subscribe } from 'node:diagnostics_channel'

let record = []
subscribe('undici:request:headers', ({ request, response }) => {
  const [path] = request.path.split('?')
  record.push({ method: request.method, path, status: response.statusCode })
})

// Runs `action` and returns how it ended together with the requests it made.
export async function recorded(action) {
  const mine = (record = [])
  try {
    return { value: await action(), requests: mine }
  } catch (error) {
    return { error, requests: mine }
  } finally {
    record = []
  }
}
