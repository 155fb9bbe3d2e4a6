from django.urls import URLPattern, URLResolver, path

from operators import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("accounts/login/", views.Login.as_view(), name="login"),
    path("accounts/logout/", views.log_out, name="logout"),
    path("accounts/language/", views.set_language, name="set-language"),
    path("accounts/password/", views.OwnPassword.as_view(), name="password"),
    path("accounts/password/changed/", views.password_changed, name="password-changed"),
    # before the admin's own: one login, and a logout that ends availability
    path("admin/login/", views.to_login),
    path("admin/logout/", views.log_out),
    path("admin/password_change/", views.to_own_password),
    path("admin/password_change/done/", views.to_own_password),
]
