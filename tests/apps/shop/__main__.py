from shop.views import app

print(app.test_client().get("/").text)
