#ifndef DAVIT_AGENT_RPC_IMAGE_SERVICE_H_
#define DAVIT_AGENT_RPC_IMAGE_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "agent/pod/pod_manager.h"
#include "runtime/image/image_store.h"

namespace davit {

// davit.v1.ImageService over an ImageStore, as
// proto/davit/v1/image_service.proto promises. `manager` is asked which pod
// uses an image that cannot be removed. Both outlive the server that the
// service is registered with.
std::unique_ptr<grpc::Service> NewImageService(ImageStore* images,
                                               PodManager* manager);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_IMAGE_SERVICE_H_
