import { parseEnvelope, validateRequest, payloadFingerprint } from './index';
it('bench', () => {
  const text = JSON.stringify({ request_id: 'x'.repeat(36), type: 'workflow.start', payload: { conversation_key: 'agent:default:ui:default:channel:ui-00000000-0000-4000-8000-000000000001', steps: [{ type: 'CLI', args: { cmd: 'echo', args: ['x'] }, postcondition: {} }] } });
  const run = (n: number, f: () => void) => { for (let i = 0; i < n; i++) f(); const t = process.hrtime.bigint(); for (let i = 0; i < n; i++) f(); return Number(process.hrtime.bigint() - t) / n / 1000; };
  const p = parseEnvelope(text) as any;
  console.log('parse us', run(20000, () => parseEnvelope(text)), 'validate us', run(5000, () => validateRequest('workflow.start', p.request.payload)), 'fp us', run(20000, () => payloadFingerprint(p.request.payload)));
});
