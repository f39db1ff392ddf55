import type { Gates } from '../operations/gates';
import type { RequestHandlers } from './request-handlers';

/** The requests about approvals. */
export function gateHandlers(gates: Gates): RequestHandlers {
  return {
    'approval.list': ({ tenantId }, payload) => gates.list(tenantId, payload, 'payload'),
    'approval.resolve': async ({ key }, payload) => (await gates.resolve(key(), payload)).answer,
    'workflow.resume': ({ tenantId }, { token }) => gates.resume(tenantId, token),
  };
}
