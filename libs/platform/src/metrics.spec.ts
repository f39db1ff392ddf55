import { Metrics } from './metrics';

it('exposes ours and the process’s, with event-loop delay', async () => {
  const metrics = new Metrics();
  metrics.counter('tyrum_turns_total', 'Turns.', ['status']).inc({ status: 'succeeded' }, 2);
  metrics.histogram('tyrum_claim_seconds', 'Claim.').observe(0.004);
  metrics.gauge('tyrum_sockets', 'Sockets.', { collect: (gauge) => gauge.set(7) });
  const { body, contentType } = await metrics.expose();
  expect(contentType).toContain('text/plain');
  expect(body).toContain('tyrum_turns_total{status="succeeded"} 2');
  expect(body).toContain('tyrum_claim_seconds_bucket{le="0.005"} 1');
  expect(body).toContain('tyrum_sockets 7');
  expect(body).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  expect(body).toMatch(/^process_resident_memory_bytes /m);
});

it('serves the rest and counts it when a gauge cannot be computed', async () => {
  const metrics = new Metrics();
  metrics.gauge('tyrum_broken', 'Broken.', { collect: () => Promise.reject(new Error('no')) });
  metrics.gauge('tyrum_fine', 'Fine.', { collect: (gauge) => gauge.set(1) });
  await metrics.expose();
  const { body } = await metrics.expose();
  expect(body).toContain('tyrum_fine 1');
  expect(body).toMatch(/tyrum_metric_collect_failures_total\{metric="tyrum_broken"\} [12]/);
});

it('gives each instance its own registry, in which a name has one owner', () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.counter('tyrum_x_total', 'X.');
  expect(() => other.counter('tyrum_x_total', 'X.')).not.toThrow();
  expect(() => one.counter('tyrum_x_total', 'X.')).toThrow('already been registered');
});
