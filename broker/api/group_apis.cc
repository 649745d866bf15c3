// The door from the registry to the group service, which keeps the handlers of its ten APIs.
#include "broker/api/group_service.h"
#include "broker/api/handlers.h"

namespace ottla::broker {

void handle_group_api(ApiContext& context, RequestPtr request) {
  context.groups.handle(std::move(request));
}

}  // namespace ottla::broker
