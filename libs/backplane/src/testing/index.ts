export { describeBackplane, type BackplaneUnderTest } from './backplane-conformance';
