export { REQUEST_EXAMPLES } from './request-examples';
